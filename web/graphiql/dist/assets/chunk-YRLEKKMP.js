import{Ai as a,Bi as b,Ci as c,Di as d}from"./chunk-VFCMN2W3.js";import"./chunk-5OSR2VMQ.js";export{c as HitTestContext,b as MouseTarget,d as MouseTargetFactory,a as PointerHandlerLastRenderData};
